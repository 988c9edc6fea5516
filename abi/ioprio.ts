// SPDX-License-Identifier: Apache-2.0
// include/uapi/linux/ioprio.h.
export const IOPRIO_CLASS_NONE = 0;
export const IOPRIO_CLASS_RT = 1;
export const IOPRIO_CLASS_BE = 2;
export const IOPRIO_CLASS_IDLE = 3;

const CLASS_SHIFT = 13;
const CLASS_MASK = 7;
const LEVEL_MASK = 7;

export const ioClass = (ioprio: number): number => (ioprio >> CLASS_SHIFT) & CLASS_MASK;
export const ioLevel = (ioprio: number): number => ioprio & LEVEL_MASK;
export const ioPriority = (of: number, level: number): number => (of << CLASS_SHIFT) | level;

export const IOPRIO_WHO_PROCESS = 1;
export const IOPRIO_WHO_PGRP = 2;
export const IOPRIO_WHO_USER = 3;
