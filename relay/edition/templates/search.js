"use strict";
// Hides what does not hold all the words; without this script the whole list stands there, and nothing is missed.
{
  const bare = (text) => text.toLowerCase().normalize("NFD").replace(/[\u0300-\u036f]/g, "");
  const index = JSON.parse(document.getElementById("index").textContent);
  const items = Array.from(document.querySelectorAll("li[data-id]"), (item) => [item, bare(index[item.dataset.id])]);
  const field = document.getElementById("words");
  const found = document.getElementById("found");

  const search = () => {
    const words = bare(field.value).split(/\s+/).filter(Boolean);
    let number = 0;
    for (const [item, text] of items) {
      item.hidden = !words.every((word) => text.includes(word));
      number += item.hidden ? 0 : 1;
    }
    for (const section of document.querySelectorAll("section")) {
      section.hidden = !section.querySelector("li:not([hidden])");
    }
    found.textContent = words.length
      ? found.dataset.words.replace("{number}", number).replace("{count}", items.length)
      : "";
  };

  field.form.hidden = false;
  field.value = decodeURIComponent(location.hash.slice(1)); // index.html#550 shows what is found for 550
  field.form.addEventListener("submit", (event) => event.preventDefault());
  field.addEventListener("input", search);
  search();
}
