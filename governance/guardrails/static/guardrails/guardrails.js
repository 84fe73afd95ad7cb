// Fields that apply, and the count of items that follows. Without this the forms work by hand.
for (const form of document.querySelectorAll("form:has([data-guardrail]), form[data-switch]")) {
  const chooser = form.elements.action ?? form.elements.kind;
  if (!(chooser instanceof HTMLSelectElement)) continue;
  const showWhatApplies = () => {
    for (const part of form.querySelectorAll("[data-applies]")) {
      const applies = part.dataset.applies.split(" ").includes(chooser.value);
      part.hidden = !applies;
      for (const input of part.querySelectorAll("input, select, textarea")) input.disabled = !applies;
    }
  };
  chooser.addEventListener("change", showWhatApplies);
  showWhatApplies();
}
const panel = document.querySelector("[data-reach]");
const ruleForm = document.getElementById("record-form");
if (panel && ruleForm) {
  const result = panel.querySelector("[data-reach-result]");
  let timer = 0;
  let latest = 0;
  const look = async () => {
    const mine = ++latest;
    result.setAttribute("aria-busy", "true");
    const answer = await fetch(panel.dataset.reach, { method: "POST", body: new FormData(ruleForm) });
    if (mine !== latest) return;
    if (answer.ok) result.innerHTML = await answer.text();
    result.removeAttribute("aria-busy");
  };
  const soon = () => { clearTimeout(timer); timer = setTimeout(look, 300); };
  ruleForm.addEventListener("input", soon);
  ruleForm.addEventListener("change", soon);
}
