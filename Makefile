# genchi's build. `make` only builds; `make demo` and `make test` also install the Debian packages they
# need. Flavours: CC=clang, SANITIZE=address,undefined, BUILD=dir, DEBUG=1.
VERSION := 0.1.0
SOVERSION := 0

CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
PREFIX ?= /usr/local
DESTDIR ?=
SANITIZE ?=
DEBUG ?=
WERROR ?=

# V=1 shows whole commands
Q := $(if $(V),,@)
say := @printf '  %s %s\n'

comma := ,
FLAVOUR := $(notdir $(CC))$(if $(SANITIZE),-$(subst $(comma),-,$(SANITIZE)))$(if $(DEBUG),-debug)
BUILD ?= build/$(FLAVOUR)

PKGS := jansson libzstd icu-uc icu-i18n libcrypto zlib liblbfgs lapacke openblas libpcre2-8

WARN := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes \
        -Wmissing-prototypes -Wpointer-arith -Wvla -Wundef -Wwrite-strings -Wformat=2 \
        -Wno-format-nonliteral $(if $(WERROR),-Werror)
OPT := $(if $(DEBUG),-O1 -g3,$(if $(SANITIZE),-O1 -g,-O2 -g))
# -ffp-contract=off: a*b+c is fused only where the code says so, so that gcc and clang agree.
CFLAGS ?=
override CFLAGS := -std=c17 -D_GNU_SOURCE -DGN_VERSION='"$(VERSION)"' -Iinclude -Isrc -fPIC -pthread \
        -fvisibility=hidden -ffp-contract=off -fno-math-errno $(OPT) $(WARN) \
        $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer -DGN_NO_CLONES) \
        $(shell pkg-config --cflags $(PKGS) 2>/dev/null) $(CFLAGS)
LDFLAGS ?=
override LDFLAGS := $(if $(SANITIZE),-fsanitize=$(SANITIZE)) -pthread $(LDFLAGS)
LDLIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -ldnnl -lgomp -lm

LIB_SRC := $(filter-out src/cli/%,$(sort $(wildcard src/*/*.c)))
CLI_SRC := $(sort $(wildcard src/cli/*.c))
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/%.o)
CLI_OBJ := $(CLI_SRC:%.c=$(BUILD)/%.o)
TEST_SRC := $(sort $(wildcard tests/unit/test_*.c))
TEST_BIN := $(TEST_SRC:tests/unit/%.c=$(BUILD)/tests/%)
TEST_LIB := $(filter-out tests/unit/test_%,$(sort $(wildcard tests/unit/*.c)))
TEST_LIB_OBJ := $(TEST_LIB:%.c=$(BUILD)/%.o)
STATIC := $(BUILD)/libgenchi.a
SHARED := $(BUILD)/libgenchi.so.$(VERSION)
GENCHI := $(BUILD)/genchi

.PHONY: all demo test check-unit clean packages lint format
.DELETE_ON_ERROR:
.SECONDARY:

all: $(STATIC) $(SHARED) $(if $(CLI_SRC),$(GENCHI))

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

# The kernels are one body compiled for each instruction set; a*b+c is fused there and nowhere else.
KERNEL_FLAGS := -ffp-contract=fast $(if $(DEBUG),,-O3)
ifneq ($(filter x86_64%,$(shell $(CC) -dumpmachine)),)
AVX2_FLAGS := -mavx2 -mfma
AVX512_FLAGS := -mavx512f -mavx512bw -mavx512vl -mfma
endif
$(BUILD)/src/tensor/kernel_base.o: override CFLAGS += $(KERNEL_FLAGS)
$(BUILD)/src/tensor/kernel_avx2.o: override CFLAGS += $(KERNEL_FLAGS) $(AVX2_FLAGS)
$(BUILD)/src/tensor/kernel_avx512.o: override CFLAGS += $(KERNEL_FLAGS) $(AVX512_FLAGS)

$(STATIC): $(LIB_OBJ)
	@rm -f $@
	$(say) AR $@
	$(Q)ar rcs $@ $^

$(SHARED): $(LIB_OBJ)
	$(say) LD $@
	$(Q)$(CC) -shared -Wl,-soname,libgenchi.so.$(SOVERSION) $(LDFLAGS) -o $@ $^ $(LDLIBS)
	@ln -sf $(@F) $(BUILD)/libgenchi.so.$(SOVERSION)
	@ln -sf $(@F) $(BUILD)/libgenchi.so

$(GENCHI): $(CLI_OBJ) $(STATIC)
	$(say) LD $@
	$(Q)$(CC) $(LDFLAGS) -o $@ $(CLI_OBJ) $(STATIC) $(LDLIBS)

$(BUILD)/tests/%: $(BUILD)/tests/unit/%.o $(TEST_LIB_OBJ) $(STATIC)
	@mkdir -p $(@D)
	$(say) LD $@
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(TEST_LIB_OBJ) $(STATIC) $(LDLIBS)

# One unit test by name: make check-unit T=core
check-unit: $(BUILD)/tests/test_$(T)
	$<

test: all $(TEST_BIN)
	tests/run.sh $(BUILD)

clean:
	rm -rf build

-include $(LIB_OBJ:.o=.d) $(CLI_OBJ:.o=.d) $(TEST_BIN:$(BUILD)/tests/%=$(BUILD)/tests/unit/%.d)
