# SPDX-License-Identifier: Apache-2.0
# What the one-file build puts into Node (tools/single-file.ts).
all: $(BUILD)/compare-exchange.bin

$(BUILD)/compare-exchange.bin: portable/compare-exchange.c | $(BUILD)
	$(CC) $(FREESTANDING) -fPIC -fno-reorder-blocks-and-partition -c -o $(BUILD)/compare-exchange.o $<
	objcopy -O binary -j .text $(BUILD)/compare-exchange.o $@
