import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { whoami } from "../api/queries";
import type { Who } from "../api/types";
import { Spoken, type Words } from "../words";
import { client, router } from "./router";

/** All of the console, for those who are inside. */
export function enter(place: HTMLElement, words: Words, who: Who | undefined) {
  if (who) client.setQueryData(whoami.queryKey, who);
  createRoot(place).render(
    <StrictMode>
      <Spoken begun={words}>
        <QueryClientProvider client={client}>
          <RouterProvider router={router} />
        </QueryClientProvider>
      </Spoken>
    </StrictMode>,
  );
}
