import { useQueryClient } from "@tanstack/react-query";
import {
  createContext,
  type ReactNode,
  useContext,
  useEffect,
  useState,
  useSyncExternalStore,
} from "react";
import { type Connection, Live } from "../api/live";

const Context = createContext<Live | undefined>(undefined);

export function LiveProvider({ children }: { children: ReactNode }) {
  const client = useQueryClient();
  const [live] = useState(() => new Live(client));
  useEffect(() => live.start(), [live]);
  return <Context value={live}>{children}</Context>;
}

const CONNECTING: Connection = { state: "connecting" };

export function useConnection(): Connection {
  const live = useContext(Context);
  return useSyncExternalStore(
    live?.subscribe ?? (() => () => undefined),
    () => live?.connection ?? CONNECTING,
  );
}

/** Why nothing may be changed now: what is shown may be of the past. */
export const useIsLost = (): boolean => useConnection().state === "lost";
