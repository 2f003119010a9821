import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { beginLook } from "./app/look";
import { client, router } from "./app/router";
import "./look/base.css";
import { Spoken } from "./words";

beginLook();
const place = document.getElementById("root");
if (!place) throw new Error("index.html has no place for the console");
createRoot(place).render(
  <StrictMode>
    <Spoken>
      <QueryClientProvider client={client}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </Spoken>
  </StrictMode>,
);
