// What outlasts the page: tool and zoom, kept by the window (sessionStorage) under the name of the map.

const MOST_VIEWS = 8;

export class Memory {
  constructor(name, tools) {
    this.address = `ecoval.pointmap.${name}`;
    this.tool = tools[0];
    this.views = {};
    try {
      const kept = JSON.parse(sessionStorage.getItem(this.address) ?? "null");
      if (kept && tools.includes(kept.tool) && kept.views) {
        this.tool = kept.tool;
        this.views = kept.views;
      }
    } catch {
      // Storage may be forbidden or hold something else: the map then begins anew.
    }
  }

  /** Ends of both axes that were seen last; null for the whole. */
  viewOf(name) {
    return this.views[name] ?? null;
  }

  keepTool(tool) {
    this.tool = tool;
    this.#keep();
  }

  keepView(name, ends) {
    // Deleted first, so that the oldest comes first.
    delete this.views[name];
    if (ends) this.views[name] = ends;
    const names = Object.keys(this.views);
    if (names.length > MOST_VIEWS) delete this.views[names[0]];
    this.#keep();
  }

  #keep() {
    try {
      sessionStorage.setItem(this.address, JSON.stringify({ tool: this.tool, views: this.views }));
    } catch {
      // Full or forbidden; tool and zoom still hold until the page is left.
    }
  }
}
