# SPDX-License-Identifier: Apache-2.0
# What the one-file build starts with (README.md in single-file/): the quick path and the choice, linked below Node.
ALONE_OBJ := $(filter-out $(BUILD)/launcher-main.o,$(LAUNCHER_OBJ)) \
  $(addprefix $(BUILD)/alone-,entry.o start.o interpreter.o main.o)

all: $(BUILD)/entry

$(BUILD)/alone-main.o: single-file/main.c $(LAUNCHER_HEADERS) | $(BUILD)
	$(CC) $(WARN) -O2 $(INCLUDE) -c -o $@ $<

$(BUILD)/alone-start.o: single-file/entry.S | $(BUILD)
	$(CC) -c -o $@ $<

# Before the C library: nothing of it.
$(BUILD)/alone-%.o: single-file/%.c single-file/entry.h $(PROTOCOL) | $(BUILD)
	$(CC) $(FREESTANDING) -fno-pie -c -o $@ $<

$(BUILD)/entry: $(ALONE_OBJ)
	$(CC) -static -no-pie -Wl,--gc-sections -Wl,-e,runts_entry -Wl,-Ttext-segment=0x200000 \
	  -Wl,--build-id=none -o $@.tmp $^ && strip $@.tmp && mv -f $@.tmp $@
