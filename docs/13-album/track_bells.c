// SPDX-License-Identifier: GPL-2.0
/* The Westminster Quarters, of 1793: a track in C, which can forget to leave. */
#include <linux/module.h>

#include "album.h"

static bool forgets;
module_param(forgets, bool, 0);
MODULE_PARM_DESC(forgets, "Whether to stay on the album when the module is removed");

static const struct album_note notes[] = {
	{ 64, 2 }, { 60, 2 }, { 62, 2 }, { 55, 4 },
};

static const struct album_track track = {
	.title = "Westminster Quarters",
	.notes = notes,
	.count = ARRAY_SIZE(notes),
};

static int __init bells_init(void)
{
	return album_add(&track);
}
module_init(bells_init);

static void __exit bells_exit(void)
{
	if (!forgets)
		album_remove(&track);
}
module_exit(bells_exit);

MODULE_DESCRIPTION("Westminster Quarters, a track for the player");
MODULE_LICENSE("GPL");
