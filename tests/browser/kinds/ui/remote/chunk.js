window.kindsChunk = "From a chunk";
