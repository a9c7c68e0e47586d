// SPDX-License-Identifier: GPL-2.0
/* Uses one of the kernel's own modules. */
#include <linux/crc8.h>
#include <linux/module.h>

static int __init asks_init(void)
{
	static u8 table[CRC8_TABLE_SIZE];
	const u8 byte = 'x';

	crc8_populate_msb(table, 7);
	pr_info("asks: %d\n", crc8(table, &byte, 1, 0));
	return 0;
}
module_init(asks_init);

static void __exit asks_exit(void)
{
}
module_exit(asks_exit);

MODULE_DESCRIPTION("Uses a module of the kernel's own");
MODULE_LICENSE("GPL");
