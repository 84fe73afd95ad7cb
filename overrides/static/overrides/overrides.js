// The override's form: fields that apply, items by search, a preview that follows. Without this the form works by hand.
const form = document.getElementById("record-form");
const element = (tag, attributes = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), attributes);
  made.append(...children);
  return made;
};

function showWhatApplies() {
  for (const part of form.querySelectorAll("[data-applies]")) {
    const applies = part.dataset.applies.split(" ").includes(form.elements.type.value);
    part.hidden = !applies;
    for (const input of part.querySelectorAll("input, select, textarea")) input.disabled = !applies;
  }
}

function suggestKey() {
  const { title, key } = form.elements;
  if (!title || !key || key.value) return;
  let own = "";
  title.addEventListener("input", () => {
    if (key.value !== own) return;
    own = title.value.toLowerCase().normalize("NFKD").replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 60);
    key.value = own;
  });
}

function suggestZone() {
  const { time_zone: zone, starts_at: start, ends_at: end } = form.elements;
  const mine = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const isNew = form.elements.key && form.elements.key.type !== "hidden" && !form.elements.key.value;
  if (isNew && zone.value === "UTC" && !start.value && !end.value && [...zone.options].some((one) => one.value === mine)) zone.value = mine;
}

class Picker {
  constructor(area) {
    this.area = area;
    this.titles = new Map();
    this.search = element("input", { type: "search", placeholder: "Find items by title or id", autocomplete: "off" });
    this.search.setAttribute("aria-label", "Find items by title or id");
    this.found = element("ul", { className: "ov-picker__found", hidden: true });
    this.chosen = element("ol", { className: "ov-picker__chosen" });
    const paste = element("details", {}, element("summary", { textContent: "Paste a column of ids", className: "cp-quiet" }));
    const box = element("div", { className: "ov-picker" }, this.search, this.found, this.chosen, paste);
    area.replaceWith(box);
    paste.append(area);
    area.addEventListener("input", () => this.draw());
    this.search.addEventListener("input", () => { clearTimeout(this.timer); this.timer = setTimeout(() => this.look(), 200); });
    this.search.addEventListener("keydown", (event) => {
      if (event.key === "Enter") { event.preventDefault(); this.found.querySelector("button")?.click(); }
      if (event.key === "Escape") this.found.hidden = true;
    });
    this.draw();
    this.name();
  }

  get ids() { return this.area.value.split(/[\r\n,;\t]+/).map((id) => id.trim()).filter(Boolean); }

  set ids(ids) {
    this.area.value = ids.join("\n");
    this.draw();
    form.dispatchEvent(new Event("change", { bubbles: true }));
  }

  async look() {
    const q = this.search.value.trim();
    if (!q) { this.found.hidden = true; return; }
    const answer = await fetch(`/api/v1/items?page_size=8&q=${encodeURIComponent(q)}`);
    if (!answer.ok || this.search.value.trim() !== q) return;
    const { results } = await answer.json();
    this.found.replaceChildren(...results.map((item) => {
      this.titles.set(item.item_id, item);
      const button = element("button", { type: "button" }, `${item.title || item.item_id} `, element("span", { className: "cp-quiet", textContent: item.item_id }));
      if (!item.available) button.append(" ", element("span", { className: "ov-picker__stock", textContent: "out of stock" }));
      button.addEventListener("click", () => {
        if (!this.ids.includes(item.item_id)) this.ids = [...this.ids, item.item_id];
        this.search.value = "";
        this.found.hidden = true;
        this.search.focus();
      });
      return element("li", {}, button);
    }));
    if (!results.length) this.found.replaceChildren(element("li", { className: "cp-quiet", textContent: `No item has ${q} in its title or id.` }));
    this.found.hidden = false;
  }

  async name() {
    await Promise.all(this.ids.slice(0, 20).map(async (id) => {
      const answer = await fetch(`/api/v1/items/${encodeURIComponent(id)}`);
      if (answer.ok) this.titles.set(id, await answer.json());
    }));
    this.draw();
  }

  draw() {
    const ids = this.ids;
    const button = (label, text, act, disabled = false) => {
      const made = element("button", { type: "button", textContent: text, title: label, disabled });
      made.setAttribute("aria-label", label);
      made.addEventListener("click", act);
      return made;
    };
    this.chosen.replaceChildren(...ids.slice(0, 60).map((id, index) => {
      const item = this.titles.get(id);
      const text = element("span", {}, `${item?.title || id} `, element("span", { className: "cp-quiet", textContent: item?.title ? id : "" }));
      if (item && !item.available) text.append(" ", element("span", { className: "ov-picker__stock", textContent: "out of stock" }));
      return element("li", {}, element("span", { className: "ov-picker__number", textContent: index + 1 }), text,
        button(`Move ${id} up`, "↑", () => { const next = [...ids]; [next[index - 1], next[index]] = [next[index], next[index - 1]]; this.ids = next; }, index === 0),
        button(`Remove ${id}`, "✕", () => { this.ids = ids.filter((_, other) => other !== index); }));
    }));
    if (ids.length > 60) this.chosen.append(element("li", { className: "cp-quiet", textContent: `and ${ids.length - 60} more` }));
  }
}

function followPreview() {
  const panel = document.querySelector("[data-preview]");
  if (!panel) return;
  const result = panel.querySelector("[data-preview-result]");
  let timer = 0;
  let latest = 0;
  const look = async () => {
    const mine = ++latest;
    result.setAttribute("aria-busy", "true");
    const answer = await fetch(panel.dataset.preview, { method: "POST", body: new FormData(form), headers: { "X-Requested-With": "fetch" } });
    if (mine !== latest) return;
    if (answer.ok) result.innerHTML = await answer.text();
    result.removeAttribute("aria-busy");
  };
  panel.querySelector("button[formaction]").addEventListener("click", (event) => { event.preventDefault(); look(); });
  const soon = () => { clearTimeout(timer); timer = setTimeout(look, 500); };
  form.addEventListener("change", soon);
  panel.addEventListener("change", soon);
}

if (form && form.querySelector("[data-rule]")) {
  suggestZone();
  suggestKey();
  form.elements.type.addEventListener("change", showWhatApplies);
  showWhatApplies();
  new Picker(form.querySelector("[data-item-picker]"));
  followPreview();
}
