// Adds rows for arms beyond those the page came with; without this script the spare rows do.
const MOST = 10;
for (const group of document.querySelectorAll("[data-arms]")) {
  const add = document.createElement("button");
  add.type = "button";
  add.className = "cp-button";
  add.textContent = "Add an arm";
  group.append(add);
  const rows = () => group.querySelectorAll("[data-arm]");
  const judge = () => { add.hidden = rows().length >= MOST; };
  judge();
  add.addEventListener("click", () => {
    const last = rows()[rows().length - 1];
    const number = rows().length;
    const row = last.cloneNode(true);
    row.querySelector(".exp-arm__name").textContent = `Arm ${number + 1}`;
    for (const hidden of row.querySelectorAll("label .cp-visually-hidden")) hidden.textContent = `Arm ${number + 1}: `;
    for (const error of row.querySelectorAll(".cp-field__error")) error.remove();
    for (const field of row.querySelectorAll("input, textarea")) {
      const part = field.name.split("_").at(-1);
      const label = row.querySelector(`label[for="${field.id}"]`);
      field.name = `arm_${number}_${part}`;
      field.id = `id_${field.name}`;
      if (label) label.htmlFor = field.id;
      field.value = "";
      field.textContent = "";
    }
    last.after(row);
    judge();
    row.querySelector("input").focus();
  });
}
