// SPDX-License-Identifier: GPL-2.0-only
/* Takes parameters of several types, and needs nothing but printk and those types. */
#include <linux/init.h>
#include <linux/module.h>

static int number;
module_param(number, int, 0444);
static unsigned char small;
module_param(small, byte, 0444);
static char *text;
module_param(text, charp, 0444);
static bool flag;
module_param(flag, bool, 0444);
static int dangerous;
module_param_unsafe(dangerous, int, 0444);
static unsigned long wide;
module_param(wide, ulong, 0444);

static int __init plain_init(void)
{
	/* Never so, but the compiler does not know. */
	if (number == 4711)
		pr_info("%d %d %d %lu %s\n", small, flag, dangerous, wide, text);
	return 0;
}
module_init(plain_init);

static void __exit plain_exit(void)
{
}
module_exit(plain_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Parameters");
