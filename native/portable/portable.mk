# What the one-file build puts into Node (tools/single-file.ts).
all: $(BUILD)/compare-exchange.bin

$(BUILD)/compare-exchange.bin: portable/compare-exchange.c | $(BUILD)
	$(CC) $(FREESTANDING) -fPIC -fno-reorder-blocks-and-partition -c -o $(BUILD)/compare-exchange.o $<
	objcopy -O binary -j .text $(BUILD)/compare-exchange.o $@

# Only for tools/single-file.ts, which knows the addresses.
ifdef FIRST
$(FIRST): portable/first-initializer.c
	$(CC) $(FREESTANDING) $(DEFINES) -fPIC -fno-reorder-blocks-and-partition -fno-jump-tables -c -o $@ $<
endif
