//! Entries made from a model's configuration equal those of the catalog.

use fleetsim::catalog::{Catalog, import_model, model_entry};

const CONFIGURATIONS: [(&str, &str); 6] = [
    (
        "llama-3.1-8b",
        r#"{"model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32,
            "num_hidden_layers": 32, "num_key_value_heads": 8, "vocab_size": 128256,
            "tie_word_embeddings": false, "attention_bias": false, "torch_dtype": "bfloat16"}"#,
    ),
    (
        "qwen2.5-7b",
        r#"{"model_type": "qwen2", "hidden_size": 3584, "intermediate_size": 18944, "num_attention_heads": 28,
            "num_hidden_layers": 28, "num_key_value_heads": 4, "vocab_size": 152064,
            "sliding_window": 131072, "use_sliding_window": false, "tie_word_embeddings": false}"#,
    ),
    (
        "mixtral-8x7b",
        r#"{"model_type": "mixtral", "hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32,
            "num_hidden_layers": 32, "num_key_value_heads": 8, "vocab_size": 32000, "sliding_window": null,
            "num_local_experts": 8, "num_experts_per_tok": 2}"#,
    ),
    (
        "deepseek-v3",
        r#"{"model_type": "deepseek_v3", "hidden_size": 7168, "intermediate_size": 18432, "vocab_size": 129280,
            "num_attention_heads": 128, "num_key_value_heads": 128, "num_hidden_layers": 61,
            "kv_lora_rank": 512, "q_lora_rank": 1536, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
            "v_head_dim": 128, "n_routed_experts": 256, "n_shared_experts": 1, "num_experts_per_tok": 8,
            "moe_intermediate_size": 2048, "first_k_dense_replace": 3, "moe_layer_freq": 1,
            "quantization_config": {"quant_method": "fp8"}}"#,
    ),
    (
        "llama-4-maverick",
        r#"{"model_type": "llama4", "text_config": {"model_type": "llama4_text", "hidden_size": 5120,
            "intermediate_size": 8192, "intermediate_size_mlp": 16384, "num_attention_heads": 40, "head_dim": 128,
            "num_hidden_layers": 48, "num_key_value_heads": 8, "vocab_size": 202048, "num_local_experts": 128,
            "num_experts_per_tok": 1, "interleave_moe_layer_step": 2}}"#,
    ),
    (
        "gpt-oss-20b",
        r#"{"model_type": "gpt_oss", "attention_bias": true, "hidden_size": 2880, "intermediate_size": 2880,
            "head_dim": 64, "num_attention_heads": 64, "num_key_value_heads": 8, "num_hidden_layers": 24,
            "num_local_experts": 32, "num_experts_per_tok": 4, "vocab_size": 201088, "sliding_window": 128,
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention", "full_attention",
              "sliding_attention", "full_attention", "sliding_attention", "full_attention",
              "sliding_attention", "full_attention", "sliding_attention", "full_attention",
              "sliding_attention", "full_attention", "sliding_attention", "full_attention",
              "sliding_attention", "full_attention", "sliding_attention", "full_attention",
              "sliding_attention", "full_attention", "sliding_attention", "full_attention"],
            "quantization_config": {"quant_method": "mxfp4"}}"#,
    ),
];

#[test]
fn a_configuration_makes_the_entry_that_the_catalog_has() {
    let catalog = Catalog::built_in();
    for (name, configuration) in CONFIGURATIONS {
        let imported = import_model(name, configuration).unwrap();
        let known = &catalog.models[name];
        assert_eq!(imported.architecture, known.architecture, "{name}");
        assert_eq!(imported.parameters(), known.parameters(), "{name}");
        assert_eq!(imported.weights_bytes, known.weights_bytes, "{name}");

        // What is written is read back as the same.
        let mut read = Catalog::default();
        read.add_ron("imported.ron", &model_entry(&imported))
            .unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(*read.models[name], imported);
    }
}

#[test]
fn what_makes_no_entry_is_refused_with_the_reason() {
    let dense = CONFIGURATIONS[0].1;
    for (configuration, part) in [
        ("[1]".to_owned(), "it is not an object"),
        ("{".to_owned(), "no config.json"),
        (dense.replace("hidden_size", "width"), "no `hidden_size`"),
        (
            dense.replace("128256", "-5"),
            "`vocab_size` is `-5`: a whole number",
        ),
        (
            dense.replace("\"num_hidden_layers\": 32", "\"num_hidden_layers\": 0"),
            "at least 1",
        ),
        (
            dense.replace('{', r#"{"hybrid_override_pattern": "M-M*", "#),
            "layers of state space",
        ),
        (
            dense.replace('{', r#"{"quantization_config": {"quant_method": "awq"}, "#),
            "quantisation by `awq`",
        ),
        (
            CONFIGURATIONS[2]
                .1
                .replace("\"num_experts_per_tok\": 2", "\"num_experts_per_tok\": 9"),
            "takes 9 experts, and there are 8",
        ),
    ] {
        let error = import_model("mine", &configuration)
            .unwrap_err()
            .to_string();
        assert!(error.contains(part), "{error}");
    }
}

/// Whatever numbers stand in it, a configuration makes an entry or an error.
#[test]
fn absurd_sizes_are_refused() {
    let absurd = CONFIGURATIONS[3]
        .1
        .replace("\"n_routed_experts\": 256", "\"n_routed_experts\": 999999");
    let error = import_model("mine", &absurd).unwrap_err().to_string();
    assert!(error.contains("more than any model has"), "{error}");
}
