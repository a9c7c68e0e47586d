// SPDX-License-Identifier: GPL-2.0
/* The export table of the player, whose functions are Rust (tracks.rs). */
#include <linux/export.h>

#include "album.h"

EXPORT_SYMBOL_GPL(album_add);
EXPORT_SYMBOL_GPL(album_remove);
