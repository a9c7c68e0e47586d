// SPDX-License-Identifier: GPL-2.0
/* Nobody wants it. */
#include <linux/init.h>
#include <linux/module.h>

static int __init noisy_guest_init(void)
{
	return 0;
}
module_init(noisy_guest_init);

static void __exit noisy_guest_exit(void)
{
}
module_exit(noisy_guest_exit);

MODULE_DESCRIPTION("Is not to be loaded");
MODULE_LICENSE("GPL");
