// SPDX-License-Identifier: GPL-2.0
/* Nobody wants it. */
#include <linux/init.h>
#include <linux/module.h>

static int __init noise_init(void)
{
	return 0;
}
module_init(noise_init);

static void __exit noise_exit(void)
{
}
module_exit(noise_exit);

MODULE_DESCRIPTION("Is not to be loaded");
MODULE_LICENSE("GPL");
