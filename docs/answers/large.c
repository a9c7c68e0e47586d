// SPDX-License-Identifier: GPL-2.0
/* Says a number that is too large for an int. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/kstrtox.h>
#include <linux/module.h>

static int __init large_init(void)
{
	long long number;
	int err = kstrtoll("4294967296", 10, &number);

	if (err)
		return err;
	pr_info("%lld\n", number);
	return 0;
}
module_init(large_init);

static void __exit large_exit(void)
{
}
module_exit(large_exit);

MODULE_DESCRIPTION("Says a number that is too large for an int");
MODULE_LICENSE("GPL");
