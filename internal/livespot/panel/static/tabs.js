// The tab list: one stop for the Tab key, arrows move, the last choice is remembered in this browser.

const KEPT = "livespot.tab";

export function tabs(onChange) {
  const all = [...document.querySelectorAll('[role="tab"]')];
  const names = all.map((tab) => tab.id.slice(4));

  function select(name, focus = false) {
    for (const tab of all) {
      const chosen = tab.id === `tab-${name}`;
      tab.setAttribute("aria-selected", `${chosen}`);
      tab.tabIndex = chosen ? 0 : -1;
      document.getElementById(tab.getAttribute("aria-controls")).hidden = !chosen;
      if (chosen && focus) { tab.focus(); tab.scrollIntoView({ block: "nearest", inline: "nearest" }); }
    }
    localStorage.setItem(KEPT, name);
    onChange(name);
  }

  for (const [i, tab] of all.entries()) {
    tab.addEventListener("click", () => select(names[i]));
    tab.addEventListener("keydown", (event) => {
      const to = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: all.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      select(names[(to + all.length) % all.length], true);
    });
  }
  const kept = localStorage.getItem(KEPT);
  select(names.includes(kept) ? kept : names[0]);
}
