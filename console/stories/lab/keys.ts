import { expect, type Locator, type Page } from "@playwright/test";

const MOST_PRESSES = 150;

/** Somebody who has a keyboard and nothing else: where the focus is must be seen at each step. */
export class Keys {
  readonly #page: Page;

  constructor(page: Page) {
    this.#page = page;
  }

  /** By Tab alone, as far as it takes. */
  async to(target: Locator): Promise<void> {
    await expect(target).toBeVisible();
    const isThere = () => target.evaluate((element) => element === document.activeElement);
    for (let presses = 0; !(await isThere()); presses++) {
      if (presses > MOST_PRESSES) throw new Error(`Tab does not lead to ${target}`);
      await this.press("Tab");
    }
    expect(await target.evaluate(isMarked), `the focus on ${target} is not seen`).toBe(true);
  }

  async press(key: string): Promise<void> {
    await this.#page.keyboard.press(key);
  }

  async follow(target: Locator): Promise<void> {
    await this.to(target);
    await this.press("Enter");
  }

  async write(target: Locator, text: string): Promise<void> {
    await this.to(target);
    await this.#page.keyboard.insertText(text);
  }

  /** A screen, by a part of its name. */
  async find(typed: string, heading: string): Promise<void> {
    await this.press("Control+k");
    await expect(this.#page.getByRole("combobox", { name: "Find" })).toBeFocused();
    await this.#page.keyboard.insertText(typed);
    await this.press("Enter");
    await expect(this.#page.getByRole("heading", { level: 1, name: heading })).toBeVisible();
  }
}

/** Runs in the page. */
function isMarked(element: Element): boolean {
  const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(element);
  return (outlineStyle !== "none" && Number.parseFloat(outlineWidth) > 0) || boxShadow !== "none";
}
