"""Workspace: what lasts beyond a call: runs, background jobs, exports, repeats of a run."""
