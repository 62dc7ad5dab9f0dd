// Making and changing elements. Data becomes text and attributes only, never markup.

const SVG = "http://www.w3.org/2000/svg";

/** Make an element; `properties` are attributes, and children are nodes or texts. */
export function element(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** Make an element of a drawing. */
export function drawing(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

function fill(node, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value !== null) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** Change a text only when it is another: hundreds of cells are looked at every second. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Change an attribute only when it is another; null takes it away. */
export function setAttribute(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

export function byId(id) {
  return document.getElementById(id);
}

/** What a group of radio buttons has chosen, and a call for every change. */
export function choice(id, changed) {
  const group = byId(id);
  group.addEventListener("change", () => changed());
  return () => group.querySelector("input:checked").value;
}
