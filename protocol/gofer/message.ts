// SPDX-License-Identifier: Apache-2.0
// A message is a record of named fields, and its definition is the codec of both sides: fields are
// written and read in the order in which the definition has them. Fields are looped over, since the
// Sentry runs without code generation from strings; no message has more than eight.
import type { Field } from './fields.ts';
import type { MessageReader, MessageWriter } from './wire.ts';

/** Field names to fields. */
export type Shape = Readonly<Record<string, Field<unknown>>>;

/** The values that a message of this shape carries. */
export type Values<S> = {
  readonly [Name in keyof S]: S[Name] extends Field<infer T> ? T : never;
};

export interface Message<T> {
  /** Appends the fields. */
  encode(writer: MessageWriter, values: T): void;
  /** The rest of the message; undefined: it is no such message, or has bytes too few or too many. */
  decode(reader: MessageReader): T | undefined;
}

export function message<S extends Shape>(shape: S): Message<Values<S>> {
  const fields = Object.entries(shape);
  return {
    encode: (writer, values) => {
      for (const [name, field] of fields)
        field.put(writer, (values as Readonly<Record<string, unknown>>)[name]);
    },
    decode: (reader) => {
      const values: Record<string, unknown> = {};
      for (const [name, field] of fields) values[name] = field.take(reader);
      return reader.isComplete ? (values as Values<S>) : undefined;
    },
  };
}
