// SPDX-License-Identifier: GPL-2.0
/* Finds nothing to drive. */
#include <linux/module.h>

static int __init deviceless_init(void)
{
	return -ENODEV;
}
module_init(deviceless_init);

static void __exit deviceless_exit(void)
{
}
module_exit(deviceless_exit);

MODULE_DESCRIPTION("Says that its device is not here");
MODULE_LICENSE("GPL");
