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
std::vector<int> before_and_after_waiting();  // what a kernel sets to 1
int signal_of_host_access();                  // 0 if nothing happens

}  // namespace actgrad::test
