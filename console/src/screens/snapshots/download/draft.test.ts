import { expect, test } from "vitest";
import { DRAFT, type Draft, type Lack, lackOf, newBundle } from "./draft";

test.each<[Partial<Draft>, Lack | undefined]>([
  [{}, "short"],
  [{ passphrase: "long enough", again: "long enougH" }, "differs"],
  [{ passphrase: "long enough", again: "long enough" }, undefined],
  [{ seal: "recipients" }, "recipients"],
  [{ seal: "recipients", recipients: "age1abc, bob" }, "recipients"],
  [{ seal: "recipients", recipients: "age1abc\nage1def" }, undefined],
  [{ seal: "plain" }, "sure"],
  [{ seal: "plain", isSure: true }, undefined],
])("%j lacks %s", (over, lack) => {
  expect(lackOf({ ...DRAFT, ...over })).toBe(lack);
});

test("one way of sealing is asked for, whatever else was typed", () => {
  const typed = { ...DRAFT, passphrase: "long enough", recipients: "age1a age1b" };
  const none = { path: "", passphrase: null, recipients: [], plain: false };
  expect(newBundle(typed)).toEqual({ ...none, passphrase: "long enough" });
  expect(newBundle(typed, "etc")).toMatchObject({ path: "etc" });
  expect(newBundle({ ...typed, seal: "recipients" })).toEqual({
    ...none,
    recipients: ["age1a", "age1b"],
  });
  expect(newBundle({ ...typed, seal: "plain" })).toEqual({ ...none, plain: true });
});
