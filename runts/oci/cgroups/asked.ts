// SPDX-License-Identifier: Apache-2.0
// What counts as asked for: engines write 0 and '' for "not set" (docker update's "kernel": 0,
// "weight": 0), as Go's runc reads a missing field.

export function isNumberAsked(value: number | bigint | undefined): value is number | bigint {
  return value !== undefined && Number(value) !== 0;
}

export function isAsked(value: string | undefined): value is string {
  return value !== undefined && value !== '';
}
