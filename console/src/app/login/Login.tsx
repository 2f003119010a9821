import { useEffect, useEffectEvent, useRef } from "react";
import { useLanguage } from "../../words";
import { openDoor } from "./door";

interface Props {
  /** He was inside until now. */
  hasEnded: boolean;
  onDone: () => unknown;
}

/** The same door again, for those whose session ended while they were inside. */
export function Login({ hasEnded, onDone }: Props) {
  const { words, language } = useLanguage();
  const place = useRef<HTMLDivElement>(null);
  const done = useEffectEvent(onDone);
  useEffect(() => {
    const { current } = place;
    if (current) openDoor(current, { words, language, hasEnded, onDone: () => done() });
  }, [words, language, hasEnded]);
  return <div ref={place} />;
}
