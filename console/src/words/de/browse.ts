import type { Words } from "../index";

export const browse: Words["browse"] = {
  title: "Durchsuchen",
};
