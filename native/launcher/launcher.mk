# SPDX-License-Identifier: Apache-2.0
# The launcher: static, so that nothing of the host is needed inside its namespaces.
LAUNCHER_SRC := $(wildcard launcher/*.c)
QUICK_SRC := $(wildcard launcher/quick/*.c)
PROXY_SRC := $(wildcard proxy/*.c)
LAUNCHER_OBJ := $(LAUNCHER_SRC:launcher/%.c=$(BUILD)/launcher-%.o) $(QUICK_SRC:launcher/quick/%.c=$(BUILD)/quick-%.o) \
  $(PROXY_SRC:proxy/%.c=$(BUILD)/proxy-%.o)
LAUNCHER_HEADERS := $(PROTOCOL) stub/mailbox.h $(wildcard launcher/*.h launcher/quick/*.h proxy/*.h)
PROXY_FILTER := $(BUILD)/proxy-filter.h

all: $(BUILD)/launcher

$(BUILD)/launcher-%.o: launcher/%.c $(LAUNCHER_HEADERS) | $(BUILD)
	$(CC) $(WARN) -O2 $(INCLUDE) -c -o $@ $<

$(BUILD)/quick-%.o: launcher/quick/%.c $(LAUNCHER_HEADERS) | $(BUILD)
	$(CC) $(WARN) -O2 $(INCLUDE) -c -o $@ $<

$(PROXY_FILTER): ../tools/gen-proxy-filter.ts proxy/proxy-filter.ts $(wildcard seccomp/*.ts) | $(BUILD)
	PATH="$(abspath ../node_modules/.bin):$$PATH" node ../tools/gen-proxy-filter.ts

$(BUILD)/proxy-%.o: proxy/%.c $(LAUNCHER_HEADERS) $(PROXY_FILTER) | $(BUILD)
	$(CC) $(WARN) -O2 $(INCLUDE) -c -o $@ $<

$(BUILD)/launcher: $(LAUNCHER_OBJ)
	$(CC) -static -Wl,--gc-sections -o $@.tmp $^ && strip $@.tmp && mv -f $@.tmp $@
