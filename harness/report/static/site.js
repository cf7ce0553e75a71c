// Makes the tables sortable, searchable and choosable, and keeps what is chosen in the address.
// The pages are complete without it: every table, figure and failure stands in the HTML.
"use strict";

(() => {
  const $ = (selector, within = document) => within.querySelector(selector);
  const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];
  const sections = $$("section.table:not(.folded)");
  const choices = JSON.parse($("#choices")?.textContent ?? "[]");
  const search = $("#search");
  const verified = $("#verified");
  const tables = new Map();
  let current = $("section.table.current");

  // Blanks sort last whichever way a column is sorted.
  const blankLast = (sign) => (a, b) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return sign * (a - b);
  };
  if (window.DataTable) {
    DataTable.ext.errMode = "throw";
    DataTable.type("figure", {
      order: {
        pre: (text) => (text === "" || text === undefined ? null : Number(text)),
        asc: blankLast(1),
        desc: blankLast(-1),
      },
      className: "",
    });
  }

  function tableOf(section) {
    if (!tables.has(section)) {
      const table = new DataTable($("table.board", section), {
        paging: false,
        info: false,
        autoWidth: false,
        order: [],
        layout: { topStart: null, topEnd: null, bottomStart: null, bottomEnd: null },
        language: { zeroRecords: "No row has this; change the search." },
      });
      table.search.fixed("verified", (text, data, index) => {
        return !verified?.checked || table.row(index).node().dataset.verified === "true";
      });
      table.on("order.dt", () => section === current && remember());
      // A sort button answers to the space bar like any other button; DataTables listens to Enter only.
      section.addEventListener("keydown", (event) => {
        if (event.key === " " && event.target.classList.contains("dt-column-order")) {
          event.preventDefault();
          event.target.click();
        }
      });
      for (const box of $$("input[data-column]", section)) {
        const fold = () => {
          table.column(indexOf(table, box.dataset.column)).visible(box.checked);
          const boxes = $$("input[data-column]", section);
          const hidden = boxes.filter((one) => !one.checked).length;
          $(".picker > summary", section).textContent = `Columns and what they say${hidden ? ` (${hidden} folded)` : ""}`;
        };
        box.addEventListener("change", fold);
        fold();
      }
      tables.set(section, table);
    }
    return tables.get(section);
  }

  // Of all columns, the folded ones included: those are in no document.
  const headsOf = (table) => table.columns().header().toArray();
  const indexOf = (table, name) => headsOf(table).findIndex((head) => head.dataset.name === name);

  // What stands after # before any ?; an address that somebody mangled leads nowhere instead of stopping the page.
  function decoded(text) {
    try {
      return decodeURIComponent(text);
    } catch {
      return "";
    }
  }

  // The address: #<table or row>?sort=<column>.<direction>&q=<search>&verified=1
  function readAddress() {
    const [anchor, query = ""] = location.hash.slice(1).split("?");
    const given = new URLSearchParams(query);
    return { anchor: decoded(anchor), sort: given.get("sort"), q: given.get("q") ?? "", verified: given.has("verified") };
  }

  function writeAddress(push) {
    const table = tableOf(current);
    const query = new URLSearchParams();
    const [first] = table.order();
    if (first?.[1]) query.set("sort", `${headsOf(table)[first[0]].dataset.name}.${first[1]}`);
    if (search.value) query.set("q", search.value);
    if (verified?.checked) query.set("verified", "1");
    const hash = `#${current.id}${query.size ? `?${query}` : ""}`;
    if (hash !== location.hash) history[push ? "pushState" : "replaceState"](null, "", hash);
  }

  let restoring = false;
  const remember = () => restoring || writeAddress(false);

  function show(section) {
    current.classList.remove("current");
    current = section;
    current.classList.add("current");
    const choice = choices.find((one) => one.id === section.id);
    for (const select of $$("select[data-axis]")) {
      if (choice) select.value = choice.values[select.dataset.axis];
    }
    tableOf(section);
    document.dispatchEvent(new Event("plots"));
  }

  function filter() {
    const table = tableOf(current);
    table.search(search.value).draw();
    const { recordsDisplay: shown, recordsTotal: all } = table.page.info();
    $("#shown").textContent = shown === all ? `${all} rows` : `${shown} of ${all} rows`;
  }

  function restore() {
    const state = readAddress();
    const target = state.anchor ? document.getElementById(state.anchor) : null;
    const section = target?.closest("section.table");
    for (let box = target?.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
    restoring = true;
    show(section && !section.classList.contains("folded") ? section : current);
    search.value = state.q;
    if (verified) verified.checked = state.verified;
    const table = tableOf(current);
    const dot = state.sort?.lastIndexOf(".") ?? -1;
    const column = dot < 0 ? -1 : indexOf(table, state.sort.slice(0, dot));
    table.order(column < 0 ? [] : [[column, state.sort.slice(dot + 1) === "desc" ? "desc" : "asc"]]);
    filter();
    restoring = false;
    for (const row of $$("tr.found")) row.classList.remove("found");
    if (target) {
      if (target.matches("tr")) target.classList.add("found");
      if (target !== sections[0]) target.scrollIntoView({ block: target.matches("section") ? "start" : "center", behavior: "instant" });
    }
  }

  // The table that has the value just chosen and otherwise most in common with the one shown; the fullest of several.
  function choose(axis, value) {
    const wanted = Object.fromEntries($$("select[data-axis]").map((select) => [select.dataset.axis, select.value]));
    const common = (choice) => Object.entries(wanted).filter(([key, want]) => choice.values[key] === want).length;
    const fitting = choices.filter((choice) => choice.values[axis] === value);
    const best = fitting.reduce((a, b) => (common(b) > common(a) ? b : a));
    const section = document.getElementById(best.id);
    if (!section) {
      location.href = `${best.page}#${best.id}`;
      return;
    }
    restoring = true;
    show(section);
    filter();
    restoring = false;
    writeAddress(true);
  }

  function startTables() {
    search.addEventListener("input", () => { filter(); remember(); });
    verified?.addEventListener("change", () => { filter(); remember(); });
    for (const select of $$("select[data-axis]")) {
      select.addEventListener("change", () => choose(select.dataset.axis, select.value));
    }
    addEventListener("hashchange", restore);
    addEventListener("popstate", restore);
    restore();
  }

  // What a figure rests on, beside the figure.
  function startOrigins() {
    const card = $("#origin");
    if (!card?.showPopover) return;
    const add = (tag, parent, text) => parent.appendChild(Object.assign(document.createElement(tag), { textContent: text ?? "" }));
    const fill = (link) => {
      card.replaceChildren();
      const list = add("ul", card);
      for (const line of link.title.split("\n")) add("li", list, line);
      const record = add("p", card, "Record ");
      Object.assign(add("a", record, `cell ${link.dataset.cell}`), { href: link.href });
      const command = add("p", card);
      command.className = "command";
      add("code", command, link.dataset.command);
      const copy = add("button", command, "Copy");
      Object.assign(copy, { type: "button", className: "copy" });
      copy.dataset.copy = link.dataset.command;
    };
    document.addEventListener("click", (event) => {
      const link = event.target.closest("td.figure > a[data-cell]");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      fill(link);
      card.showPopover();
      const box = link.getBoundingClientRect();
      const left = Math.min(box.left, document.documentElement.clientWidth - card.offsetWidth - 12);
      const below = box.bottom + card.offsetHeight + 8 < innerHeight || box.top < card.offsetHeight + 8;
      card.style.left = `${Math.max(8, left) + scrollX}px`;
      card.style.top = `${(below ? box.bottom + 4 : box.top - card.offsetHeight - 4) + scrollY}px`;
      card.setAttribute("aria-label", "Where this figure comes from");
      $("a", card).focus({ preventScroll: true });
      card.addEventListener("toggle", (change) => change.newState === "closed" && link.isConnected && link.focus({ preventScroll: true }), { once: true });
    });
  }

  async function copy(button) {
    const text = button.dataset.copy ?? document.getElementById(button.dataset.copyFrom).textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Some browsers keep the clipboard from pages opened as files; select and copy the old way.
      const area = document.body.appendChild(Object.assign(document.createElement("textarea"), { value: text }));
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    const label = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = label; }, 1500);
  }

  // Ages are told by the reader's clock: a page may be old when it is opened.
  function age(timestamp) {
    const days = Math.floor((Date.now() - new Date(timestamp)) / 86400000);
    if (!(days >= 0)) return "";
    if (days < 60) return days === 0 ? "today" : days === 1 ? "yesterday" : `${days} days ago`;
    return days < 730 ? `${Math.floor(days / 30.44)} months ago` : `${Math.floor(days / 365.25)} years ago`;
  }

  for (const time of $$("time[data-age]")) {
    const text = age(time.dateTime);
    time.title = [text, time.dateTime].filter(Boolean).join(", ");
    if (text && time.dataset.age === "shown") time.textContent += ` (${text})`;
  }
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.copy");
    if (button) copy(button);
  });
  // A link to something inside a closed fold opens it.
  const unfold = () => {
    const target = document.getElementById(decoded(location.hash.slice(1)));
    for (let box = target?.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
    if (target?.matches("details")) target.open = true;
  };
  if (window.DataTable && search && sections.length) startTables();
  else {
    addEventListener("hashchange", unfold);
    unfold();
  }
  startOrigins();
})();
