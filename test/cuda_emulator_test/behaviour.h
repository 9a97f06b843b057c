// Small kernels that show how the emulator behaves.
#pragma once

#include <vector>

namespace actgrad::test {

void write_behind_the_end();
bool survives();
void race_of_two_lines();
std::vector<int> order_of_threads();
int blocks_that_see_nan();
std::vector<int> graph_counts();
std::vector<int> captured_copy();
std::vector<int> joined_streams();
void library_reads_too_much();
bool library_result_is_readable();
int signal_of_host_access();  // 0 if nothing happens

}  // namespace actgrad::test
