# SPDX-License-Identifier: GPL-2.0
#
# Makes $(obj)/bindings_generated.rs from a header, in the same way as the kernel makes its own
# bindings (rust/Makefile of 7.3, which header packages do not carry), so that the same C type is
# the same Rust type in both: hence --ctypes-prefix, --use-core and -fno-builtin.
#
# bindgen parses with libclang, which stops at flags that only GCC knows. So instead of taking the
# kernel's C flags less a list of those, take what decides about types: the preprocessor's flags,
# and the target, which the compiler in use can name. --rust-target is the oldest rustc that
# builds 7.3.
#
# Before it is included, a Kbuild file may name another header than provider.h, and the variable of
# the environment that names the bindings to include!(env!(…)):
#
#	bindings-header := $(src)/NAME.h
#	bindings-variable := NAME
ifndef bindings-header
bindings-header := $(src)/../provider/provider.h
bindings-variable := PROVIDER_BINDINGS
endif

bindgen_c_flags = -Wp,-MMD,$(depfile) $(NOSTDINC_FLAGS) $(LINUXINCLUDE) \
	-include $(srctree)/include/linux/compiler_types.h $(KBUILD_CPPFLAGS) \
	-std=gnu11 -fshort-wchar -funsigned-char -fno-builtin -w \
	--target=$(shell $(CC) -dumpmachine) -D__BINDGEN__ -DMODULE

quiet_cmd_bindgen = BINDGEN $@
      cmd_bindgen = $(BINDGEN) $< --allowlist-file '(.*/)?$(subst .,\.,$(notdir $(bindings-header)))' \
	--rust-target 1.85 --use-core --ctypes-prefix ffi --no-layout-tests --no-doc-comments \
	--enable-function-attribute-detection -o $@ -- $(bindgen_c_flags)

targets += bindings_generated.rs
$(obj)/bindings_generated.rs: $(bindings-header) FORCE
	$(call if_changed_dep,bindgen)

# Absolute, because the objects may be elsewhere than the sources (MO=).
$(bindings-variable) := $(abspath $(obj))/bindings_generated.rs
export $(bindings-variable)
