# SPDX-License-Identifier: Apache-2.0
# The preboot: the launcher's code once more, to run in a process that was forked from Node. exit(3) would run Node's.
PREBOOT_OBJ := $(patsubst launcher/%.c,$(BUILD)/preboot-launcher-%.o,$(filter-out launcher/main.c,$(LAUNCHER_SRC))) \
  $(PROXY_SRC:proxy/%.c=$(BUILD)/preboot-proxy-%.o) $(addprefix $(BUILD)/preboot-,preboot.o nursery.o addon.o)

all: $(BUILD)/preboot.node

PREBOOT_FLAGS := $(WARN) -O2 -fPIC -fvisibility=hidden -Dexit=_exit -I$(HEADERS) $(INCLUDE) -DNAPI_VERSION=8

$(BUILD)/preboot-launcher-%.o: launcher/%.c $(LAUNCHER_HEADERS) | $(BUILD)
	$(CC) $(PREBOOT_FLAGS) -c -o $@ $<

$(BUILD)/preboot-proxy-%.o: proxy/%.c $(LAUNCHER_HEADERS) $(PROXY_FILTER) | $(BUILD)
	$(CC) $(PREBOOT_FLAGS) -c -o $@ $<

$(BUILD)/preboot-%.o: preboot/%.c preboot/preboot.h preboot/nursery.h addon/addon.h $(LAUNCHER_HEADERS) | $(BUILD)
	$(CC) $(PREBOOT_FLAGS) -c -o $@ $<

$(BUILD)/preboot.node: $(PREBOOT_OBJ)
	$(CC) -shared -Wl,-z,relro,-z,now -o $@.tmp $^ && mv -f $@.tmp $@
