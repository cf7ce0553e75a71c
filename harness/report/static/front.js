// The first screen: shows the answer, the plot and the map that belong to what was chosen, and keeps the choice in the address.
// All answers were worked out when the page was made; nothing is decided here.
"use strict";

(() => {
  const form = document.getElementById("ask");
  if (!form) return;
  const answers = new Map(JSON.parse(document.getElementById("answers").textContent).map((one) => [one.key, one]));
  const fields = ["kind", "choose", "limit", "property"].map((name) => form.elements[name]);
  const maps = [...document.querySelectorAll("section.map")];

  // What makes no sense for a training method cannot be chosen for one.
  function allow() {
    const choose = form.elements.choose.value;
    for (const option of form.elements.property.options) {
      option.disabled = Boolean(option.dataset.only) && option.dataset.only !== choose;
      if (option.disabled && option.selected) form.elements.property.value = "any";
    }
  }

  function show() {
    allow();
    const answer = answers.get(fields.map((field) => field.value).join("."));
    if (!answer) return;
    document.getElementById("sentence").textContent = answer.sentence;
    document.getElementById("unknown").textContent = answer.unknown;
    document.getElementById("same").textContent = answer.command;
    document.getElementById("copy-same").dataset.copy = answer.command;
    for (const plot of document.querySelectorAll("[data-plot-key]")) plot.hidden = plot.dataset.plotKey !== answer.plot;
    document.getElementById("no-plot").hidden = Boolean(answer.plot);
    for (const map of maps) map.hidden = maps.length > 1 && map.dataset.choose !== form.elements.choose.value;
  }

  function restore() {
    const given = new URLSearchParams(location.hash.slice(1));
    for (const field of fields) {
      const wanted = given.get(field.name);
      const known = [...field.options].some((option) => option.value === wanted);
      field.value = known ? wanted : field.options[0].value;
    }
    show();
  }

  form.addEventListener("change", () => {
    show();
    const query = new URLSearchParams(fields.map((field) => [field.name, field.value]));
    history.replaceState(null, "", `#${query}`);
  });
  addEventListener("hashchange", restore);
  restore();
})();
