// SPDX-License-Identifier: GPL-2.0
/* Uses what is global, but not exported */
#include <linux/kallsyms.h>
#include <linux/module.h>

#include "../greeter.h"

static int __init nosy_init(void)
{
	pr_info("nosy: %d\n", greeter_global() + !kallsyms_lookup_name("jiffies"));
	return 0;
}
module_init(nosy_init);

MODULE_DESCRIPTION("Uses what is global, but not exported");
MODULE_LICENSE("GPL");
