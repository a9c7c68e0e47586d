// SPDX-License-Identifier: GPL-2.0-only
/* Uses only what any module may use. */
#include <linux/init.h>
#include <linux/module.h>

#include "gives.h"

static int __init takes_any_init(void)
{
	return gives_any(0) == 2 ? 0 : -EINVAL;
}
module_init(takes_any_init);

static void __exit takes_any_exit(void)
{
}
module_exit(takes_any_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("One import");
