// SPDX-License-Identifier: GPL-2.0
/* A player that only says what is on the album. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/errno.h>
#include <linux/module.h>

#include "album.h"

int album_add(const struct album_track *track)
{
	if (!track->title)
		return -EINVAL;
	pr_info("%s, %zu notes\n", track->title, track->count);
	return 0;
}
EXPORT_SYMBOL_GPL(album_add);

void album_remove(const struct album_track *track)
{
	pr_info("%s is gone\n", track->title);
}
EXPORT_SYMBOL_GPL(album_remove);

MODULE_DESCRIPTION("A player that only says what is on the album");
MODULE_LICENSE("GPL");
