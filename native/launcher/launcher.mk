# The launcher: static, so that nothing of the host is needed inside its namespaces.
LAUNCHER_SRC := $(wildcard launcher/*.c)
LAUNCHER_OBJ := $(LAUNCHER_SRC:launcher/%.c=$(BUILD)/launcher-%.o)

all: $(BUILD)/launcher

$(BUILD)/launcher-%.o: launcher/%.c launcher/launcher.h | $(BUILD)
	$(CC) $(WARN) -O2 -I. -c -o $@ $<

$(BUILD)/launcher: $(LAUNCHER_OBJ)
	$(CC) -static -Wl,--gc-sections -o $@.tmp $^ && strip $@.tmp && mv -f $@.tmp $@
