// SPDX-License-Identifier: GPL-2.0
/* Does not load. */
#include <linux/module.h>

static int __init refuses_init(void)
{
	return -EINVAL;
}
module_init(refuses_init);

static void __exit refuses_exit(void)
{
}
module_exit(refuses_exit);

MODULE_DESCRIPTION("Fails in its init");
MODULE_LICENSE("GPL");
