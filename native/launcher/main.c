// SPDX-License-Identifier: Apache-2.0
/*
 * Entry of the launcher. See launcher.h.
 */
#include <string.h>

#include "launcher/launcher.h"
#include "launcher/quick/quick.h"

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "quick") == 0) return quick_main(argc - 1, argv + 1);
  launch(argc, argv);
}
