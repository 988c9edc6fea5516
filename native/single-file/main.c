// SPDX-License-Identifier: Apache-2.0
/*
 * The quick path in the one-file build: entry.c has seen that the verb is one of its own.
 */
#include "launcher/quick/quick.h"

int main(int argc, char **argv) { return quick_alone(argc, argv); }
