# SPDX-License-Identifier: GPL-2.0
# Outside of this project, put the file itself in the place of this one.
include $(src)/../../../provider/crates.mk
