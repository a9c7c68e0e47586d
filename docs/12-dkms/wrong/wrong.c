// SPDX-License-Identifier: GPL-2.0
/* Is built for another kernel than it is installed for. */
#include <linux/init.h>
#include <linux/module.h>

static int __init wrong_init(void)
{
	return 0;
}
module_init(wrong_init);

static void __exit wrong_exit(void)
{
}
module_exit(wrong_exit);

MODULE_DESCRIPTION("Is built for the wrong kernel");
MODULE_LICENSE("GPL");
