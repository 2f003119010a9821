type Attributes = Record<string, string | boolean | undefined>;
type Child = Node | string | false | undefined;

/** Without any framework: the door is there before one is. */
export function element<K extends keyof HTMLElementTagNameMap>(
  name: K,
  attributes: Attributes,
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(name);
  put(made, attributes);
  made.append(...children.filter((child) => child !== false && child !== undefined));
  return made;
}

export function drawing(
  name: string,
  attributes: Attributes,
  ...children: SVGElement[]
): SVGElement {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  put(made, attributes);
  made.append(...children);
  return made;
}

/** What is false or nothing is not there; what is true needs no value. */
export function put(on: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) on.removeAttribute(name);
    else on.setAttribute(name, value === true ? "" : value);
  }
}
