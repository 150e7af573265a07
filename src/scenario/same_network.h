/// \file
/// Whether two tables describe one network.
#pragma once
#include "scenario/layer_table.h"

namespace valbench {

/// Equal layers, channels, repeats and activations, however the tables write them. Anchors and classes are not compared: both follow the
/// weights and the data. Throws ScenarioError for a table whose rows do not fit together.
bool same_network(const LayerTable& a, const LayerTable& b);

}  // namespace valbench
