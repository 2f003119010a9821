/**
 * @typedef {{ address: string, user: string, password: string }} Door
 */

/**
 * A browser that is logged in, or only knows the way.
 * @param {import("@playwright/test").Browser} browser
 * @param {Door} door
 * @param {{ width: number, height: number }} viewport
 * @param {boolean} isInside
 */
export async function enter(browser, door, viewport, isInside) {
  const context = await browser.newContext({
    locale: "en-GB",
    timezoneId: "Europe/Berlin",
    viewport,
  });
  if (isInside) {
    const answer = await context.request.post(`${door.address}/api/v1/login`, {
      data: { user: door.user, password: door.password, cookie: true },
      ignoreHTTPSErrors: true,
    });
    const told = await answer.json();
    if (!answer.ok()) throw new Error(`login: ${JSON.stringify(told)}`);
  }
  return context;
}
