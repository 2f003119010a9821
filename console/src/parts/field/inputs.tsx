import type { ComponentProps, ReactNode } from "react";
import { Field } from "./Field";
import style from "./Field.module.css";

interface About {
  label: string;
  help?: ReactNode;
  wrong?: string | undefined;
  isWide?: boolean;
}

type Given<E extends "input" | "select" | "textarea"> = About &
  Omit<ComponentProps<E>, "id" | "className" | "onChange"> & { onChange: (value: string) => void };

export function TextField({ label, help, wrong, isWide, onChange, ...rest }: Given<"input">) {
  return (
    <Field label={label} help={help} wrong={wrong} isWide={isWide}>
      {(described) => (
        <input
          autoComplete="off"
          spellCheck={false}
          {...rest}
          {...described}
          className={style.input}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
    </Field>
  );
}

export function TextArea({ label, help, wrong, isWide, onChange, ...rest }: Given<"textarea">) {
  return (
    <Field label={label} help={help} wrong={wrong} isWide={isWide}>
      {(described) => (
        <textarea
          spellCheck={false}
          {...rest}
          {...described}
          className={style.input}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
    </Field>
  );
}

export function SelectField({
  label,
  help,
  wrong,
  isWide,
  onChange,
  children,
  ...rest
}: Given<"select">) {
  return (
    <Field label={label} help={help} wrong={wrong} isWide={isWide}>
      {(described) => (
        <select
          {...rest}
          {...described}
          className={style.input}
          onChange={(event) => onChange(event.target.value)}
        >
          {children}
        </select>
      )}
    </Field>
  );
}

interface CheckProps {
  label: ReactNode;
  help?: ReactNode;
  checked: boolean;
  disabled?: boolean;
  onChange: (checked: boolean) => void;
}

export function Checkbox({ label, help, checked, disabled, onChange }: CheckProps) {
  return (
    <label className={style.choice}>
      <input
        type="checkbox"
        checked={checked}
        disabled={disabled}
        onChange={(event) => onChange(event.target.checked)}
      />
      <span>
        {label}
        {help && <small>{help}</small>}
      </span>
    </label>
  );
}

export interface Choice<V extends string> {
  value: V;
  label: ReactNode;
  help?: ReactNode;
  disabled?: boolean;
}

interface RadioProps<V extends string> {
  label: string;
  name: string;
  value: V;
  of: Choice<V>[];
  onChange: (value: V) => void;
}

export function Radios<V extends string>({ label, name, value, of, onChange }: RadioProps<V>) {
  return (
    <fieldset className={style.group}>
      <legend>{label}</legend>
      {of.map((choice) => (
        <label key={choice.value} className={style.choice}>
          <input
            type="radio"
            name={name}
            checked={choice.value === value}
            disabled={choice.disabled}
            onChange={() => onChange(choice.value)}
          />
          <span>
            {choice.label}
            {choice.help && <small>{choice.help}</small>}
          </span>
        </label>
      ))}
    </fieldset>
  );
}
