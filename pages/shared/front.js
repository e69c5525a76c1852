// Streamlit adds a step to the history whenever the address of the same page changes, so that one press of Back
// would not leave the page.
const push = history.pushState.bind(history);
history.pushState = (state, title, url) => {
  const isHere = url && new URL(url, location.href).pathname === location.pathname;
  return isHere ? history.replaceState(state, title, url) : push(state, title, url);
};
