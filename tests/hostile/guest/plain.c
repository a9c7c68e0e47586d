// SPDX-License-Identifier: GPL-2.0
/* An honest module. */
#include <linux/module.h>

static int __init plain_init(void)
{
	return 0;
}
module_init(plain_init);

static void __exit plain_exit(void)
{
}
module_exit(plain_exit);

MODULE_DESCRIPTION("Does nothing");
MODULE_LICENSE("GPL");
